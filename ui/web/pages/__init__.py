"""The pages: thin faces of `search`.

Not in a folder ``pages`` beside ``app.py``: Streamlit would take every module in it for a page.
"""
