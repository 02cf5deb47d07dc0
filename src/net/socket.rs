//! Sockets as the driver wants them: bound, non-blocking, with GSO, GRO, ECN and packet info.
