"""The room to look and correct: a Streamlit app over the store."""
