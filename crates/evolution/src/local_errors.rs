//! Errors of this machine instead of the gateway: no descriptor or no memory for a socket. The request was certainly not
//! written, and the error says nothing about the gateway.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use rustix::io::Errno;

/// Whether a connection failed because this machine has no socket left.
pub(crate) fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(is_local)
}

/// The error with which this machine refuses a socket at the moment; none if it gives one. The system's resolver opens
/// files and sockets itself, and reports their absence like a name server that does not answer.
pub(crate) fn probe() -> Option<io::Error> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err().filter(is_local)
}

/// `EADDRNOTAVAIL` is not among them: a machine without IPv6 gives it for an IPv6 address, which stays unreachable.
fn is_local(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_this_machine_is_local() {
        let is_local = |errno: Errno| is_cause_of(&io::Error::from(errno));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_local(errno), "{errno:?}");
        }
        for errno in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::ADDRNOTAVAIL, Errno::TIMEDOUT] {
            assert!(!is_local(errno), "{errno:?}");
        }
        assert!(!is_cause_of(&io::Error::other("failed to lookup address information")));
        assert!(probe().is_none());
    }
}
