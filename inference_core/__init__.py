"""Industrial vision at the edge: runtimes, decoders, pipelines, optimisation, parity.

Runs alone on a laptop: no Django, no network. ``inference_core.contract`` holds what crosses
the wire and may be imported without numpy.
"""

__version__ = "0.1.0"
