//! What `udpctl` does, in rooms named after the user's nouns.
