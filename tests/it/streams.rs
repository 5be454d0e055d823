//! Objects that are read by range and written in parts, through the media core and the worker.

mod flat;
mod lasting;
mod processing;
mod reading;
mod stand;
mod writing;
