"""The dashboard: reads selectors, posts to services, holds no rule of its own."""
