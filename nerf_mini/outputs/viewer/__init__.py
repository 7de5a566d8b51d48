"""A page to fly through a scene: the process that renders serves it, and the browser asks for frames."""
