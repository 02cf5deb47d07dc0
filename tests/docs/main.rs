//! Checks of what the project says about itself: layout, pages, examples.

mod exchange;
mod fleet;
mod fuzz;
mod layers;
mod limits;
mod packages;
mod pages;
mod prose;
mod protocol;
mod recipes;
mod systemd;
