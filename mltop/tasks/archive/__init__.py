"""The backup engine `archive`: a PAX tar, compressed, hashed in the same pass, read back, and sealed by a manifest.

Needs nothing of mltop to be restored: `zstd -dc ARCHIVE | tar -x`, then `sha256sum -c` on the sums beside it.
"""
