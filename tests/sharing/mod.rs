//! What calls share within one process, seen from outside: one provider call for many callers, and
//! answers kept for those who accept them.
mod cache;
mod coalescing;
mod recovered;
mod request_ids;
