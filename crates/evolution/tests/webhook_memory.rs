//! The memory that reading a webhook takes, by the kernel's count of this process. The file has one test, because tests
//! of one file run at the same time.
#![cfg(target_os = "linux")]

use regua_evolution::webhook::read_webhook;

/// Larger than any real body, so that the process's own memory does not matter.
const BODY: usize = 16 << 20;

/// The most memory that the process has had since the last `reset_peak`, in bytes.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? << 10)
}

fn reset_peak() -> std::io::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5")
}

fn filled(before: &str, filler: &str, after: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(BODY + before.len() + filler.len() + after.len());
    body.extend_from_slice(before.as_bytes());
    while body.len() < BODY {
        body.extend_from_slice(filler.as_bytes());
    }
    body.extend_from_slice(after.as_bytes());
    body
}

#[test]
fn webhook_takes_less_than_three_times_its_body_in_memory_whatever_its_shape() {
    let update = r#"{"event":"messages.update","data":{"keyId":"3EB0","fromMe":true,"status":"READ","#;
    let message = r#"{"event":"send.message","data":{"key":{"id":"1","remoteJid":"1@lid"},"message":{"conversation":"#;
    let bodies = [
        ("small objects", filled(&format!("{update}\"x\":["), r#"{"a":0},"#, "0]}}")),
        ("small objects beside the data", filled(r#"{"event":"messages.update","x":["#, r#"{"a":0},"#, "0]}")),
        ("many members", filled(update, r#""a":0,"#, r#""b":0}}"#)),
        ("a list as data", filled(r#"{"event":"send.message","data":["#, r#"{"a":0},"#, "0]}")),
        ("nested lists", filled(&format!("{update}\"x\":"), "[", "")),
        ("one long name", filled(&format!(r#"{update}"\u0061"#), "a", r#"":0}}"#)),
        ("one long id", filled(r#"{"event":"messages.update","data":{"fromMe":true,"keyId":"\n"#, "a", r#""}}"#)),
        ("a long text", filled(&format!(r#"{message}"\n"#), "a", r#""}}}"#)),
        ("a text of escapes", filled(&format!("{message}\""), r"\n", r#""}}}"#)),
        ("a long name of the event", filled(r#"{"event":"\n"#, "a", r#""}"#)),
    ];
    for (shape, body) in bodies {
        reset_peak().unwrap();
        let before = peak().unwrap();
        let data = read_webhook(&body).ok().flatten().map(|(_, event)| event.to_data());
        let added = peak().unwrap().saturating_sub(before);
        // The body itself is the first of the three.
        assert!(added < 2 * body.len(), "{shape}: {added} bytes beside a body of {}", body.len());
        println!("{shape}: {:.2} times the body", 1.0 + added as f64 / body.len() as f64);
        let stored = data.map_or(0, |data| data.len());
        assert!(stored < 10_000 || shape.contains("text"), "{shape}: {stored} bytes are stored");
        assert!(stored < 4 * 65_536, "{shape}: {stored} bytes are stored");
    }
}
