"""Whatever a test of the agent stands on."""

from tests.agent.fixtures import device, repository, server

__all__ = ["device", "repository", "server"]
