"""The tool by which a model proposes: what `core.answers` reads, as the model is told of it."""

from typing import Any

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "propose",
        "description": "Propose the next experiment: one idea, as edits of train.py.",
        "parameters": {
            "type": "object",
            "properties": {
                "title": {"type": "string", "description": "The idea in one short line."},
                "hypothesis": {
                    "type": "string",
                    "description": "Why it should lower val_bpb, in a few sentences.",
                },
                "predicted_change": {
                    "type": "number",
                    "description": "The change of val_bpb you expect; negative is better.",
                },
                "edits": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "search": {
                                "type": "string",
                                "description": "Whole lines of train.py as they stand.",
                            },
                            "replace": {
                                "type": "string",
                                "description": "The lines that take their place.",
                            },
                        },
                        "required": ["search", "replace"],
                    },
                },
                "hints": {
                    "type": "array",
                    "description": "One entry for every hint of the human.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "integer"},
                            "applied": {"type": "boolean"},
                            "why": {"type": "string", "description": "How, or why not now."},
                        },
                        "required": ["id", "applied", "why"],
                    },
                },
            },
            "required": ["title", "hypothesis", "predicted_change", "edits"],
        },
    },
}
"""The tool as a model is offered it, in OpenAI's terms."""
