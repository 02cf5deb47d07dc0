//! `quinn-bulk send ADDRESS` and `quinn-bulk receive ADDRESS CERTIFICATE STREAMS BYTES`: a bulk transfer over QUIC.
//!
//! The sender prints a line with its address and its certificate and then serves receivers until it is killed. A
//! receiver opens STREAMS streams of one connection at once, asks for BYTES on each, and discards them. Both are
//! configured as quinn's own bulk benchmark is, and have one thread, as there.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::{
    AckFrequencyConfig, ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig,
    TransportConfig,
};
use tokio::task::JoinSet;

/// Name in the certificate.
const NAME: &str = "localhost";

/// The bytes of a stream, repeated.
const CHUNK: &[u8] = &[0; 1 << 20];

/// Pieces of a stream that are read at once.
const PIECES: usize = 32;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match arguments[..] {
        ["send", address] => runtime.block_on(send(address.parse()?)),
        ["receive", address, certificate, streams, bytes] => {
            let certificate = CertificateDer::from(from_hex(certificate)?);
            let (streams, bytes) = (streams.parse()?, bytes.parse()?);
            runtime.block_on(receive(address.parse()?, certificate, streams, bytes))
        }
        _ => bail!("usage: send ADDRESS | receive ADDRESS CERTIFICATE STREAMS BYTES"),
    }
}

/// The configuration of quinn's own bulk benchmark: what is not set here is quinn's default.
fn transport() -> Arc<TransportConfig> {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(10_u32.into());
    let mut transport = TransportConfig::default();
    transport.ack_frequency_config(Some(acks));
    transport.into()
}

async fn send(address: SocketAddr) -> Result<()> {
    let certified = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let certificate = certified.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let line = to_hex(&certificate);
    let mut config = ServerConfig::with_single_cert(vec![certificate], key.into())?;
    config.transport_config(transport());
    let endpoint = Endpoint::server(config, address)?;
    println!("listens on {} {line}", endpoint.local_addr()?);
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async {
            if let Err(error) = serve(incoming.await?).await {
                eprintln!("{error:#}");
            }
            anyhow::Ok(())
        });
    }
    Ok(())
}

/// Serves the streams of a connection until the receiver closes it.
async fn serve(connection: Connection) -> Result<()> {
    loop {
        let (sender, receiver) = match connection.accept_bi().await {
            Ok(stream) => stream,
            Err(quinn::ConnectionError::ApplicationClosed(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        tokio::spawn(answer(sender, receiver));
    }
}

/// Sends as many bytes as the receiver asks for.
async fn answer(mut sender: SendStream, mut receiver: RecvStream) -> Result<()> {
    let mut request = [0; 8];
    receiver.read_exact(&mut request).await?;
    let mut left = u64::from_be_bytes(request);
    while left > 0 {
        let mut chunk = Bytes::from_static(CHUNK);
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= chunk.len() as u64;
        sender.write_chunk(chunk).await?;
    }
    sender.finish()?;
    sender.stopped().await?;
    Ok(())
}

async fn receive(
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    streams: usize,
    bytes: u64,
) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let mut config = ClientConfig::with_root_certificates(Arc::new(roots))?;
    config.transport_config(transport());
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    let connection = endpoint.connect_with(config, address, NAME)?.await?;
    let mut downloads = JoinSet::new();
    for _ in 0..streams {
        downloads.spawn(download(connection.clone(), bytes));
    }
    while let Some(download) = downloads.join_next().await {
        download.context("a download was canceled")??;
    }
    connection.close(0_u32.into(), &[]);
    // The connection's task now sends that. Endpoint::wait_idle would wait three timeouts more, as time of the transfer.
    tokio::task::yield_now().await;
    Ok(())
}

async fn download(connection: Connection, bytes: u64) -> Result<()> {
    let (mut sender, mut receiver) = connection.open_bi().await?;
    sender.write_all(&bytes.to_be_bytes()).await?;
    sender.finish()?;
    let mut pieces = [const { Bytes::new() }; PIECES];
    let mut total = 0;
    while let Some(count) = receiver.read_chunks(&mut pieces).await? {
        let sizes = pieces[..count].iter().map(|piece| piece.len() as u64);
        total += sizes.sum::<u64>();
    }
    ensure!(total == bytes, "{total} of {bytes} bytes arrived");
    Ok(())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    let bytes = (0..text.len()).step_by(2).map(|at| {
        let digits = text.get(at..at + 2).context("a digit is missing")?;
        Ok(u8::from_str_radix(digits, 16)?)
    });
    bytes.collect()
}
