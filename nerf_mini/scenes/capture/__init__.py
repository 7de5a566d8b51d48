"""Photos or a video to a data set with poses, by structure from motion on the CPU. Needs the extra `photos`."""

from nerf_mini.scenes.capture.capturing import Captured, CaptureOptions, capture_photos, work_folder

__all__ = ["CaptureOptions", "Captured", "capture_photos", "work_folder"]
