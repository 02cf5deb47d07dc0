//! Points in time as `expires=` takes them: a date, or a date and time (RFC 3339).
