"""Line drawings of the navigation: paths on a grid of 16."""

from __future__ import annotations

ICONS = {
    "overview": "M2.5 8.5 8 3l5.5 5.5M4 7.5V13h8V7.5",
    "devices": (
        "M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14"
        "M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14"
    ),
    "profiles": "M2.5 4h11v8h-11zM5 6.5h3v3H5zM10 6.5h1.5M10 9.5h1.5",
    "models": "M8 2 13.5 5 8 8 2.5 5zM2.5 8 8 11l5.5-3M2.5 11 8 14l5.5-3",
    "datasets": "M2.5 5h8v8h-8zM5 5V2.5h8.5v8h-3M4 11.5l2-2.5 1.5 1.5L9 8.5",
    "builds": (
        "M9.5 3.5a3 3 0 0 0-3.9 3.9L2.5 10.5l3 3 3.1-3.1a3 3 0 0 0 3.9-3.9"
        "L10.6 8.4 8.3 7.7 7.6 5.4z"
    ),
    "comparisons": "M2.5 3h4v10h-4zM9.5 3h4v10h-4zM8 1.5v13",
    "label-reviews": "M2 8s2.2-4 6-4 6 4 6 4-2.2 4-6 4-6-4-6-4zM8 6.2v3.6M6.2 8h3.6",
    "releases": "M8 2 13.5 4.8v6.4L8 14l-5.5-2.8V4.8zM2.5 4.8 8 7.6l5.5-2.8M8 7.6V14",
    "rollouts": "M2 13h4V9.5h4V6h4V2.5M2 13h12",
    "theme": "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
    "leave": "M6.5 3h-3v10h3M9.5 5l3 3-3 3M12.5 8H6.5",
}
