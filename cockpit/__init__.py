"""Cockpit: run a night of autonomous LLM-training research from one terminal."""

__version__ = "0.1.0"
