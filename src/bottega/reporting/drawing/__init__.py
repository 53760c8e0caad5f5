"""The flowchart of a design: one plan of boxes and edges, written as Mermaid or laid out as a picture."""
