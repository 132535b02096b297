"""Known data sets by name -> frames: their columns, scales, frames of reference and labels."""
