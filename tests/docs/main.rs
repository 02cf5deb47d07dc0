//! What the project says about itself is true: its layout, its pages, its examples.

mod exchange;
mod layers;
mod limits;
mod pages;
mod protocol;
