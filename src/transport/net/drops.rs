//! Number of datagrams that the kernel has dropped because the receive buffer of a socket was full.
//!
//! Not those that the network has lost. Read from `/proc/net/udp` (proc_net_udp in proc(5)) when it is asked for, so that
//! counting costs nothing. Invariant: without such a table, as on a system without /proc, the number is unknown, not 0.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use crate::peer_addr::PeerAddr;

/// Returns the number of datagrams dropped at the sockets with these addresses; `None` if it is not known.
pub(super) fn dropped(addresses: &[PeerAddr]) -> Option<u64> {
    let addresses: Vec<SocketAddr> = addresses.iter().filter_map(PeerAddr::socket_addr).collect();
    let mut sum = 0_u64;
    for (table, is_v4) in [("/proc/self/net/udp", true), ("/proc/self/net/udp6", false)] {
        let of_family: Vec<String> = addresses
            .iter()
            .filter(|address| address.is_ipv4() == is_v4)
            .map(in_table)
            .collect();
        if !of_family.is_empty() {
            let text = fs::read_to_string(table).ok()?;
            for address in of_family {
                sum = sum.saturating_add(drops_of(&text, &address)?);
            }
        }
    }
    Some(sum)
}

/// Returns an address as the table has it: the words of the address in the byte order of the machine, and the port.
fn in_table(address: &SocketAddr) -> String {
    let words = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (words, _) = words.as_chunks();
    let words = words.iter().map(|&word| u32::from_ne_bytes(word));
    let words: Vec<String> = words.map(|word| format!("{word:08X}")).collect();
    format!("{}:{:04X}", words.concat(), address.port())
}

/// Returns the last column of the line of a local address, which is the second column.
fn drops_of(table: &str, address: &str) -> Option<u64> {
    let mut lines = table.lines();
    let line = lines.find(|line| line.split_ascii_whitespace().nth(1) == Some(address))?;
    line.split_ascii_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn datagrams_beyond_the_receive_buffer_are_counted() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(local) else {
                continue;
            };
            let address = socket.local_addr().unwrap();
            let count = || dropped(&[address.into()]);
            assert_eq!(count(), Some(0), "{local}");
            let size = rustix::net::sockopt::socket_recv_buffer_size(&socket).unwrap();
            let datagram = [0; 1000];
            for _ in 0..2 * size / datagram.len() {
                socket.send_to(&datagram, address).unwrap();
            }
            assert!(count().unwrap() > 0, "{local}");
            drop(socket);
            assert_eq!(count(), None);
        }
    }

    #[test]
    fn the_counter_is_the_last_column_of_the_line_of_the_socket() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1: 0100007F:1B58 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 25 2 0 3\n\
            2: 00000000:1B58 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 26 2 0 12\n";
        assert_eq!(drops_of(table, "00000000:1B58"), Some(12));
        assert_eq!(drops_of(table, "00000000:1B59"), None);
    }
}
