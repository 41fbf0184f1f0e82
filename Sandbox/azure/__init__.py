"""A stand-in for Azure Storage (Data Lake Storage Gen2 and Blob) and for its sign-in, on 127.0.0.1 (see README.md)."""
