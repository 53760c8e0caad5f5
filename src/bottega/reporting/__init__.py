"""The report room: a design and its scorecard as a flowchart, as a page for screen and paper, and on the terminal."""
