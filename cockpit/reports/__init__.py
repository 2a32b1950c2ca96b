"""The morning report: one picture of a tag, told in Markdown, as a page, and drawn."""
