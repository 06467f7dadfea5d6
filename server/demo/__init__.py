"""The sample story: boards that are drawn, the models that inspect them, and one bad release."""
