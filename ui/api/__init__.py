"""The archive over HTTP: one engine for many programs, described by OpenAPI.

It is not called ``http``: Streamlit puts the folder ``ui`` on the path of Python, where that name
would hide the standard library's.
"""
