"""The demo archive: sounds that Echoic makes itself, so that it can be tried without any."""
