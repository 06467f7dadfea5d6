"""The broker: a certificate to enter with, a session there, and the bell that rings the loop."""
