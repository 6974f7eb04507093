use super::*;

fn reason(header: &str) -> &'static str {
    match FORM.parse(header).map(|_| ()) {
        Err(SignatureError::MalformedHeader { reason, .. }) => reason,
        other => panic!("{header:?}: {other:?}"),
    }
}

#[test]
fn the_documented_form_is_read() {
    let header = FORM.parse("t=1492774577,v1=aa,v1=bb,v0=cc").unwrap();
    assert_eq!((header.timestamp, header.seconds), ("1492774577", 1_492_774_577));
    assert_eq!(header.signatures, ["aa", "bb"]);
}

#[test]
fn each_malformed_header_is_told_what_is_wrong() {
    assert_eq!(reason(""), "an element has no `=`");
    assert_eq!(reason("t=1,v1"), "an element has no `=`");
    assert_eq!(reason("v1=aa"), "it has no `t=`");
    assert_eq!(reason("t=1"), "it has no `v1=`");
    assert_eq!(reason("t=1,v0=aa"), "it has no `v1=`");
    assert_eq!(reason("t=1,t=2,v1=aa"), "it has more than one `t=`");
    for time in ["", "+1", "-1", "1.5", "1e3", " 1", "now", "99999999999999999999"] {
        assert_eq!(reason(&format!("t={time},v1=aa")), "its `t=` is not a Unix time in seconds");
    }
    assert_eq!(reason(&format!("t=1{}", ",v1=aa".repeat(17))), "it has more than 16 `v1=`");
    assert_eq!(reason(&format!("t=1,v1={}", "a".repeat(4096))), "it is over 4096 bytes long");
    assert_eq!(
        reason("t=1,v1=aa, t=1,v1=aa"),
        "it has more than one `t=`",
        "two headers that a proxy joined"
    );
}

#[test]
fn a_header_at_the_limits_is_read() {
    let sixteen = format!("t=1{}", ",v1=aa".repeat(16));
    assert_eq!(FORM.parse(&sixteen).unwrap().signatures.len(), 16);
    let longest = format!("t=1,v1={}", "a".repeat(4096 - 7));
    assert_eq!(longest.len(), 4096);
    assert!(FORM.parse(&longest).is_ok());
    assert_eq!(reason(&format!("{longest}a")), "it is over 4096 bytes long");
}
