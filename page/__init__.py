"""The pieces of the page that app.py puts together: the stage, the conversation, the looks."""
