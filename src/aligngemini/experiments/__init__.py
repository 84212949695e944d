"""The papers' own questions as studies that anyone can run."""
