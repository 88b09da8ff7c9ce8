//! The OpenAPI document is a snapshot, so that every change of the contract shows in a review.

#[test]
fn openapi_document_matches_snapshot() {
    // After an intended change: run with INSTA_UPDATE=always and review the diff.
    insta::assert_snapshot!(regua_api::openapi_json().unwrap());
}
