#HQ --name "unclosed
