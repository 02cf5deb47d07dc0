//! What happens, told as stories: given this network, these hosts, this comes of it.

mod the_network;
