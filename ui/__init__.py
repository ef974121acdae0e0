"""The faces of Echoic: the command line. No SQL and no audio maths here."""
