"""The steps of a design that searches pictures: decoded, parted, encoded by each rung, judged, and bundled."""
