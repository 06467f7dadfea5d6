"""From a picture to a verdict: graph, rules, sources and sinks."""
