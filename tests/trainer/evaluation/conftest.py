"""Property tests here measure figures, not speed: a busy machine must not fail them."""

from hypothesis import settings

settings.register_profile("figures", deadline=None, max_examples=40)
settings.load_profile("figures")
