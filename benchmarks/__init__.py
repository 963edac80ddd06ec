"""What the library costs, as ratios to a limit written by hand and measured in the same run."""
