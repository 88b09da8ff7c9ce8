//! The OpenAPI document is a snapshot, so that a change of the contract is seen by whoever makes it.

#[test]
fn the_contract_is_the_one_that_was_agreed() {
    // After a change that is meant: INSTA_UPDATE=always, and read the difference.
    insta::assert_snapshot!(regua_api::openapi_json().unwrap());
}
