"""Everything a lab keeps on disk."""
