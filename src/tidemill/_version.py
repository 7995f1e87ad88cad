"""The version of this package: read by the build and by `tidemill --version`. It knows nothing else."""

__version__ = "0.1.0"
