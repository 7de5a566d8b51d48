"""From a field and samples to colour: volume rendering, whole pictures and their quality."""
