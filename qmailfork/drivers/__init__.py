"""Who carries the bytes between a client, the conversation and the programs."""
