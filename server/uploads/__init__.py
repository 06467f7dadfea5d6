"""Uploads that go on where they were cut off, and what becomes of them."""
