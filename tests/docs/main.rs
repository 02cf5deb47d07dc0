//! What the project says about itself is true: its layout, its pages, its examples.

mod house;
mod pages;
