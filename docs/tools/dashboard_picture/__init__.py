"""The picture of the dashboard in the docs, drawn from what a real operator measured."""
