"""The miniature: a self-made world of pictures and questions, and the small models trained on it."""
