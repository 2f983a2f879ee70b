"""The startup audit: what is dangerous about where and how a worker is to run. Also for `stream-app doctor`."""
