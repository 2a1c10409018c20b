//! Publish and subscribe over local sockets. Moves bytes, knows no SQL.
